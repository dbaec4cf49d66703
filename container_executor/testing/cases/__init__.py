"""The cases of the conformance suite, one class per subject, in the order in which an author meets them."""
