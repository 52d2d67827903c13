//go:build !linux && !darwin && !freebsd

package disk

import (
	"errors"
	"os"
)

func spaceOf(*os.File) (Space, error) { return Space{}, errors.ErrUnsupported }
