package fsck

// Code is what a check has found, as the log has it (docs/spec/jobs.md §7.3).
type Code string

// The codes.
const (
	// NoPath: no copy is known.
	NoPath Code = "NOPA"
	// PolicyViolation: too few copies or too many, or in the wrong places.
	PolicyViolation Code = "POVI"
	// Missing: a device does not have its copy.
	Missing Code = "MISS"
	// BadLength: a copy has the wrong length.
	BadLength Code = "BLEN"
	// BadCount: the cached number of copies was wrong.
	BadCount Code = "BCNT"
	// Search: all devices are being searched for a copy.
	Search Code = "SRCH"
	// Found: the search found one.
	Found Code = "FOND"
	// Gone: there is no good copy anywhere.
	Gone Code = "GONE"
	// Replicate: queued for replication.
	Replicate Code = "REPL"
	// BadChecksum: the copies have another checksum than is recorded.
	BadChecksum Code = "BSUM"
	// NoChecksum: none was recorded; now it is.
	NoChecksum Code = "NSUM"
	// MixedChecksums: the copies differ, and none is recorded.
	MixedChecksums Code = "MSUM"
	// BadAlgorithm: a checksum of another kind is recorded.
	BadAlgorithm Code = "BALG"
)
