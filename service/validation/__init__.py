"""A hospital's labelled clips through the code that serves, and what comes of it: `seashore validate`.

answers.py              what was answered to one clip, and the file that keeps the answers
run.py                  every clip is read, several at a time; what was kept before is not read again
cases.py                an answer beside its label: right, opposite, leaning the wrong way
estimates.py            a figure with its interval, and how that was made
figures.py              the figures of one model on these clips
comparison.py           two models on the same clips
findings.py             all that was found; as JSON
pictures.py             one clip as a picture, nothing of it shown but the echoes
wording.py              figures as cells and sentences
comparison_wording.py   the comparison in sentences
chapters.py             the report's parts, one function each
comparison_chapter.py   its part on two models, and clips as pictures
"""
