//go:build !linux

package disk

import "errors"

func preallocate(int, int64) error { return errors.ErrUnsupported }
