//go:build !linux

package blockdev

import "errors"

// Place is not known here.
func (k Kernel) Place(string) (Place, error) { return Place{}, errors.ErrUnsupported }

// IsRemote is not known here.
func (k Kernel) IsRemote(string) bool { return false }

// Disks are not known here.
func (k Kernel) Disks(Place) []Number { return nil }

// Counters are not known here.
func (k Kernel) Counters() (map[Number]Counter, error) { return nil, errors.ErrUnsupported }
