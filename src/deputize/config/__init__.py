"""From YAML files to the values a decision is made under."""
