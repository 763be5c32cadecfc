"""Training inside ESPnet: the only package that imports espnet2.

Shapes: B utterances, S samples, T encoder frames (20 ms), D encoder width, U tokens, V vocabulary with blank.
"""

from __future__ import annotations

from xlsrt.espnet_task.lean_import import import_espnet_asr

# Every module of this package needs ESPnet, in spawned workers too: it is imported here, once, in the cheap
# way.
import_espnet_asr()
