"""The cage: what a process that decodes strangers' files gives up, for good, before it sees the first of them.

    enter_cage --> limits     memory, output, open files, core dumps      setrlimit
               --> privileges capabilities, gaining any by exec           capset, prctl
               --> landlock   opening any file but the cage's, network    Landlock, Linux 5.13
               --> syscalls   starting, tracing, mounting, connecting     seccomp, by libseccomp

Each layer is the kernel's own, and none can be taken back by the process. Nothing here knows what is read in the cage.
"""
