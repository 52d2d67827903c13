package fsck

import "github.com/mogilefs/caddy-mogilefs/mogile"

// ChecksumField is the setting that says what copies are digested with.
const ChecksumField = "fsck_checksum"

// Checksums is what that setting means. The zero value leaves it to the classes.
type Checksums struct {
	// Off: what looks fine is not digested.
	Off bool
	// Hash is what all files are digested with, or none.
	Hash mogile.HashType
}

// ReadChecksums reads the setting: off, MD5 or SHA-1; anything else leaves it to the
// classes.
func ReadChecksums(setting string) Checksums {
	if setting == "off" {
		return Checksums{Off: true}
	}
	t, err := mogile.ParseHashType(setting)
	if err != nil {
		t = mogile.HashNone
	}
	return Checksums{Hash: t}
}

// Casual is what a file that has no known fault is digested with.
func (c Checksums) Casual(class mogile.HashType, recorded mogile.Checksum) mogile.HashType {
	if c.Off || (c.Hash == mogile.HashNone && class == mogile.HashNone) {
		return mogile.HashNone
	}
	return c.Careful(class, recorded)
}

// Careful is what a file is digested with before anything of it is changed: by what is
// recorded, so that it can be compared, whatever the class wants by now. (The peer goes by
// the class first, and can't tell good from bad after that has changed.)
func (c Checksums) Careful(class mogile.HashType, recorded mogile.Checksum) mogile.HashType {
	if recorded.Type.New() != nil {
		return recorded.Type
	}
	return c.wanted(class)
}

// wanted is the algorithm that a file should have a checksum of.
func (c Checksums) wanted(class mogile.HashType) mogile.HashType {
	if class != mogile.HashNone {
		return class
	}
	return c.Hash
}
