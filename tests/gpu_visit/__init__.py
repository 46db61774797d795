"""One visit to a machine with a GPU: everything is built, checked and timed there, and one table comes back.

On a machine with a network and a GPU it is one command, in an environment with `onnxruntime-gpu[cuda,cudnn]` in the place of
`onnxruntime`, and torch's CUDA build:

    python -m tests.gpu_visit measure --write gpu.md

On a lent machine without a network (Python 3.12, torch, onnx, CUDA 13 and cuDNN 9 are there; 64 MiB travel with each call, the
working tree's 22 MB among them) what is missing is carried in parts, while the machine stays warm:

    1. Here, in an environment with pip and a network. Downloads the wheels (onnxruntime-gpu has 256 MB, opencv 61, PyAV 36;
       openvino, 51 small ones of the service, httpx for its tests), unpacks what is needed of them and leaves nine parts of
       at most 38 MiB. Takes four minutes of one core, most of them to compress 285 MB of CUDA:

           python -m tests.gpu_visit pack /tmp/visit
           echo /.visit/ >> .git/info/exclude

    2. A call for each part, at once one after the other, for an idle machine goes back after half a minute. Each time, here:

           rm -rf .visit && mkdir .visit && cp /tmp/visit/part-00 .visit/

       and there, with `.visit` carried:

           mkdir -p /tmp/visit && cp .visit/part-* /tmp/visit/

    3. With `.visit` gone, a call for each half, since one may take 10 minutes; the first also unpacks:

           cat /tmp/visit/part-* | tar -xJ -C /tmp && \\
           PYTHONPATH=/tmp/site python3 -m tests.gpu_visit measure --only checks,load --write $OUT/gpu-1.md
           PYTHONPATH=/tmp/site python3 -m tests.gpu_visit measure --only speed --write $OUT/gpu-2.md

       The two are one table: the parts go into docs/benchmark.md as they are.

`python -m tests.gpu_visit measure --dry-run` does all of it on a CPU, with numbers too small to mean anything: it shows that the
script works, and says so in what it writes. A part that fails on the day is said in its place and spoils none of the others; the exit
status is that of the checks.
"""
