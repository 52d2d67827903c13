package disk

// Space is how full a file system is, in bytes. What is reserved for root counts
// neither as used nor as available.
type Space struct{ Used, Available int64 }

// Number tells block devices apart.
type Number struct{ Major, Minor uint32 }
