package legacy

import (
	"crypto/md5"
	"crypto/sha1"
	"fmt"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// File is a visible file of an old database.
type File struct {
	FID     mogile.FID
	Domain  mogile.DomainName
	Key     mogile.Key
	Class   mogile.ClassName
	Length  int64
	Devices []mogile.DevID
	// Checksum is zero when none is recorded.
	Checksum mogile.Checksum
}

// The domains and their numbers. One has a row for its default class, one has no files.
const (
	Images mogile.DomainName = "images"
	Mail   mogile.DomainName = "mail"
	Empty  mogile.DomainName = "empty"
)

var domainIDs = map[mogile.DomainName]mogile.DomainID{Images: 1, Mail: 2, Empty: 3}

// DomainID is the number of a domain.
func DomainID(name mogile.DomainName) mogile.DomainID { return domainIDs[name] }

// classes are numbered in their domain; the default class has 0.
var classes = []mogile.Class{
	{Domain: 1, ID: 1, Name: "thumb", MinDevCount: 1},
	{Domain: 1, ID: 2, Name: "original", MinDevCount: 3, Hash: mogile.HashMD5, Policy: "MultipleHosts(3)"},
	{Domain: 2, ID: 0, Name: "default", MinDevCount: 3},
	{Domain: 2, ID: 4, Name: "keep", MinDevCount: 2, Hash: mogile.HashSHA1, Policy: "MultipleDevices()"},
}

// plainKeys are taken by every character set. The second half are those that a LIKE, a
// file name, a URL or SQL could mistake.
var plainKeys = []mogile.Key{
	"photos/001.jpg", "photos/002.jpg", "photos/003.jpg", "photos/004.jpg", "photos/005.jpg",
	"photos/006.jpg", "photos/007.jpg", "photos/008.jpg", "photos/009.jpg", "photos/010.jpg",
	"100%", "under_score", `back\slash`, "with space", "a&b=c+d?e#f", `'"`, "/", "dir/", "../x", "UPPER", "0",
	mogile.Key(strings.Repeat("long/", 51)),
}

// foreignKeys are in scripts of which latin1 has the first only.
var (
	latin1Keys  = []mogile.Key{"grün/é.jpg", "ÿ", "mañana/naïve"}
	unicodeKeys = []mogile.Key{"ключ/файл.jpg", "写真/東京.png", "صورة", "e\u0301 combined", "😀/🖼️"}
	// rawKeys are not UTF-8.
	rawKeys = []mogile.Key{"\xff\xfe", "caf\xe9 in latin1", "\x81\x8d\x8f\x90\x9d", "\xf0\x9f\x98 cut", "\x01\x1f\x7f"}
)

// keys are those that the old tracker could store (docs/spec/schema.md §2.3).
func (v Variant) keys() []mogile.Key {
	all := append(append([]mogile.Key{}, plainKeys...), latin1Keys...)
	intoLatin1 := v.Kind == MySQL && strings.Contains(v.How, "latin1")
	if !intoLatin1 || v.session() == "latin1" {
		all = append(all, unicodeKeys...)
	}
	if v.Kind != MySQL || v.session() == "latin1" {
		all = append(all, rawKeys...)
	}
	return all
}

// Files are all visible files that have a key.
func (v Variant) Files() (files []File) {
	for i, key := range v.keys() {
		f := File{FID: mogile.FID(i + 1), Domain: Images, Key: key, Class: "default", Length: int64(1000 + i), Devices: []mogile.DevID{1}}
		switch i % 4 {
		case 1:
			f.Class, f.Devices = "original", []mogile.DevID{1, 2, 3}
		case 2:
			f.Class, f.Devices = "thumb", []mogile.DevID{2}
		case 3:
			f.Devices = []mogile.DevID{1, goneDevice}
		}
		files = append(files, f)
	}
	files = append(files,
		File{FID: 101, Domain: Mail, Key: "photos/001.jpg", Class: "keep", Length: 1, Devices: []mogile.DevID{2, 4}},
		File{FID: 102, Domain: Mail, Key: "nothing", Class: "default", Length: 0, Devices: []mogile.DevID{1, 2}},
		File{FID: lostFID, Domain: Mail, Key: "no copies", Class: "default", Length: 5},
		File{FID: v.HighFID(), Domain: Mail, Key: "newest", Class: "default", Length: 1 << 33, Devices: []mogile.DevID{1, 2}},
	)
	for i := range files {
		files[i].Checksum = v.checksum(files[i])
	}
	return files
}

// checksum is recorded for most files whose class wants one.
func (v Variant) checksum(f File) mogile.Checksum {
	text := fmt.Append(nil, "content of ", f.FID)
	switch {
	case !v.hasTable("checksum") || f.FID == 2:
	case f.Class == "original":
		sum := md5.Sum(text)
		return mogile.Checksum{Type: mogile.HashMD5, Sum: sum[:]}
	case f.Class == "keep":
		sum := sha1.Sum(text)
		return mogile.Checksum{Type: mogile.HashSHA1, Sum: sum[:]}
	}
	return mogile.Checksum{}
}

// goneDevice has copies and no row.
const goneDevice = 77

// lostFID is a visible file without a copy.
const lostFID = 103

// HighFID is the greatest fid of a visible file. In MySQL and SQLite the sequence of
// tempfile is far below: older InnoDB forgets it at a restart (docs/spec/schema.md §4).
func (v Variant) HighFID() mogile.FID {
	switch {
	case v.Kind == Postgres: // where the sequence ends at 2^31-1
		return 1_000_000_000
	case v.Kind == MySQL && v.NarrowFIDs: // beyond a signed column
		return 4_000_000_000
	}
	return 5_000_000_000
}

// HighestFID is the greatest that is or was in use: that of a content that still waits
// to be erased.
func (v Variant) HighestFID() mogile.FID { return v.HighFID() + 40 }
