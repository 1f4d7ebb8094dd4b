"""What plugins may implement; loading them one by one; the guard around calls into them."""
