"""How throughput changes as an installation grows: with replicas, and with what its databases hold."""
