"""Other people's formats, and people's rights over what is held about them: exports, erasure, retention."""
