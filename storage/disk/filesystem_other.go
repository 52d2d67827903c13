//go:build !unix

package disk

import (
	"errors"
	"os"
)

// FileSystemOf tells the file systems of open files apart; not known here.
func FileSystemOf(*os.File) (uint64, error) { return 0, errors.ErrUnsupported }
