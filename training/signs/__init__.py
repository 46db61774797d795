"""The signs around sliding (B-lines, A-lines, effusion, consolidation) and the published models of them."""
