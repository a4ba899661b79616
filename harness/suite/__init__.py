"""What authors write and how it is named: workloads, their declarations and versions, selection."""
