"""The values that flow: frozen, slotted, without behaviour beyond their own consistency."""
