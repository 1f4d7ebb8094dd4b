"""Settings, recipe and other data of users and repositories, validated where it is read."""
