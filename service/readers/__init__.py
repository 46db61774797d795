"""Clips are read in processes of their own on this machine; the engine stays here, and serves them all.

    PooledReader --order--> a reader process: decode, pleura, pooling, drawing
                 <--Asked-- patches of one window       (through the clip's turn at the Batcher)
                 --answer-->
                 <--Done---

Every process reads one clip at a time. What cannot share an interpreter runs side by side: finding the pleura, tracking and
cutting hold Python's lock most of their time, and with 16 cores beside a GPU one process would keep neither busy. And a clip that
brings a decoder down takes nothing with it but the process that read it.

A reader is caged before its first order (`service.sandbox`): it opens nothing but programs and models, and is handed the clip, and
the file that it draws to, as open descriptors. A limit that it runs into is the clip's fault, and no other reader is given that clip.
"""
