"""What a release consists of: the wheel, its list of parts, digests, and the look for known faults.

`make release` builds it from a commit, so that nothing of the working tree gets in; two builds of one
commit are equal to the byte.
"""
