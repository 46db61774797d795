"""What an answer looks like: in words, and drawn on the clip.

words.py      the verdict and its reasons as a clinician reads them
saliency.py   input gradients, plain or smoothed, as maps and time courses
mmode.py      one beam through time
overlay.py    the annotated clip: what is drawn on the picture, frame by frame
panels.py     what stands around the picture, with side_panel.py and sign_panel.py (beside it and below)
outside.py    a clip without what lies outside its echoes
one_page.py   the report of one clip as PDF, with one_page_figures.py (its lower half), identity.py (whose clip)
paper.py      an A4 page: text that fits, lines; with paper_charts.py and paper_pictures.py (what is drawn on it)
heat.py       saliency bent onto the patches
layout.py     where everything stands
outline.py    the sides of a patch
strokes.py    anti-aliased lines, fillings, layers
palette.py    colours, line styles, text
mp4.py        H.264 in MP4, at the times the frames were shown
"""
