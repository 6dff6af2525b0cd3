"""Protocols that measure how often the package's tests are wrong, and those of naive rivals.

A protocol makes data in which nothing is there (or in which the truth is known), hands them to a
function of the package, and counts. `counting` holds what a protocol is and how counts are judged,
`running` runs them, `registry` lists them; the other modules hold one topic each.
"""
