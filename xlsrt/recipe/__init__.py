"""What run.sh knows and does: the stage table, which steps are done, how it trains, decodes and scores."""
