//go:build !unix

package disk

import "os"

// isMountPoint is never true here: only the directory's existence is checked.
func isMountPoint(path string) (bool, error) {
	_, err := os.Stat(path)
	return false, err
}

func deviceNumber(path string) (uint64, error) {
	_, err := os.Stat(path)
	return 0, err
}
