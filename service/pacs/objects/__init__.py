"""The objects that carry a result: structured report, Secondary Capture, Encapsulated PDF.

source.py            what results take over from the object a clip came in
uids.py              every UID we give out, made from what it names
codes.py             the codes of a result, with our private scheme
heading.py           what every result says of patient, study, series and equipment
sr.py                the answer as a structured report (TID 1500)
sc.py                the annotated clip as a Secondary Capture
encapsulated_pdf.py  the one-page report as an Encapsulated PDF
results.py           all of them as files
"""
