"""What run.sh knows: the stage table, which steps are done, settings per stage, what is decoded with what."""
