"""The same pipeline behind other servers: they do the HTTP, the queueing and the batching, Seashore's modules do the rest."""
