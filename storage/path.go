package storage

import (
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// pathKind says what a path of a request means.
type pathKind int

const (
	pathBad       pathKind = iota // characters, dot-files, empty segments, too long
	pathTraversal                 // has ".."
	pathRoot                      // /
	pathForeign                   // not below a device
	pathDir                       // a device, or anything with a slash at its end
	pathFile
)

// target is a path of a request, split.
type target struct {
	kind pathKind
	dev  mogile.DevID
	// name is the path on the device, for pathFile and pathDir.
	name string
}

// usageName is the one file on a device that the node itself writes.
const usageName = "usage"

// Bounds of a path. A system limits a segment to 255 bytes, a temporary's name is
// longer than its target's. No path of a fid has more than 5 segments.
const (
	maxSegmentLen = 255 - disk.TempSuffixLen
	maxSegments   = 32
)

// parsePath splits the decoded path of a request. The name it gives never leads out
// of the device, nor to a dot-file or a temporary. Leading slashes count as one: old
// mogadm sends two.
func parsePath(path string) target {
	if strings.Contains(path, "..") {
		return target{kind: pathTraversal}
	}
	rest := strings.TrimLeft(path, "/")
	if len(rest) == len(path) {
		return target{kind: pathBad}
	}
	if rest == "" {
		return target{kind: pathRoot}
	}
	first, name, slash := strings.Cut(rest, "/")
	dev, ok := disk.ParseDir(first)
	switch {
	case !ok && plainSegments(strings.TrimSuffix(rest, "/")):
		return target{kind: pathForeign}
	case !ok:
		return target{kind: pathBad}
	case !slash || name == "":
		return target{kind: pathDir, dev: dev, name: "."}
	}
	name, dir := strings.CutSuffix(name, "/")
	if !plainSegments(name) {
		return target{kind: pathBad}
	}
	if dir {
		return target{kind: pathDir, dev: dev, name: name}
	}
	return target{kind: pathFile, dev: dev, name: name}
}

// plainSegments reports whether all segments are names that may be stored.
func plainSegments(path string) bool {
	if strings.Count(path, "/") >= maxSegments || disk.IsTemp(path) {
		return false
	}
	start := 0
	for i := 0; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if !plainByte(path[i]) {
				return false
			}
			continue
		}
		if i == start || i-start > maxSegmentLen || path[start] == '.' {
			return false
		}
		start = i + 1
	}
	return true
}

func plainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '_' || c == '.' || c == '-'
}
