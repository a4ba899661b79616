"""What the operating system and this interpreter give: processes, ownership of files, terminal, cache folder."""
