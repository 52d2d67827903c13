//go:build !unix

package disk

import "errors"

// FileSystemOf tells the file systems of open files apart; not known here.
func FileSystemOf(Reader) (uint64, error) { return 0, errors.ErrUnsupported }
