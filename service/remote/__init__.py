"""Clips read by other processes than the one that was asked: what is sent, what comes back, and who tries again.

Nothing here knows Ray; `service.ray_app` makes replicas of the two desks and hands the calls on.

    RemoteReader --clip--> ReaderDesk: caged processes that decode, pool and draw --patches--> EngineDesk: a Batcher
"""
