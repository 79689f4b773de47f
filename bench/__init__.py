"""What ffd costs and how fast it is: the main job beside bare SQLite in the same run. See README.md."""
