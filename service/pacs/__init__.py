"""The hospital's side: DICOM in, DICOM out.

site.py           what one hospital's network looks like: one TOML file (site_file.py reads it, site_words.py says what is wrong)
rules.py          which instances are analysed
incoming/         the listener, STOW-RS, and the intake that makes jobs of what comes
instance_work.py  what is done with one instance
objects/          the results as DICOM objects
outgoing/         deliveries, storage commitment, fetching from archives
desk/             what the administrator sees, and the doctor
audit.py          who sent what, which model said what, where it went
settle.py         pynetdicom's settings, for both directions
node.py           all of it, started and stopped together
"""
