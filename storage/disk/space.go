package disk

// Space is how full a file system is, in bytes. What is reserved for root counts
// neither as used nor as available.
type Space struct {
	Used, Available int64
	// ReadOnly says that the file system takes no changes. Where the system does not
	// tell, only a write finds out.
	ReadOnly bool
}
