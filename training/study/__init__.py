"""The published study (Kolarik, Sarnovsky, Paralic 2023), whole, on labelled clips: what `seashore train grid` runs."""
