"""What `deputize doctor` looks for, in manifests and in what runs."""
