"""Trials: does motion against the wall decide, and nothing else? Made-up clips by the thousand, read as serving reads uploads.

twins.py        both classes of a whole clip: one slide for all its windows; another clip's lung under this clip's wall
composites.py   the sliding lung of one patient beside the wall-locked lung of another: a lung point whose place is known
conditions.py   what is done to a strip after the lung was made: frame rates, compression, the order of frames
answers.py      what serving would answer, as a row; and whether it would read the clip at all
clips.py        every row of one real clip, and of two
phantoms.py     every row of one pair of phantoms
run.py          all pieces, several at a time; what was done before is not done again
figures.py      the figures of all rows
report.py       the figures as a page, targets beside them
"""
