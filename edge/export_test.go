package edge

// PartsInUse is how many parts of small files are in buffers.
func (e *Edge) PartsInUse() int64 { return e.parts.InUse() }

// TakeParts takes the room for all that may be.
func (e *Edge) TakeParts() {
	for e.parts.New(0) != nil {
	}
}
