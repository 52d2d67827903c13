package mogile

// Copy is one copy of a file: the device it is on and the URL it is read from.
type Copy struct {
	Dev DevID
	URL string
}

// Location is what a reader needs to know of a key: which content it has and
// where the copies are, best first.
type Location struct {
	FID    FID
	Length int64
	// Checksum may be zero: not every class keeps one.
	Checksum Checksum
	Copies   []Copy
	// Near is how many of the first copies are near who asked; 0 when nobody can tell.
	Near int
}
