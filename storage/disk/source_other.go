//go:build !linux

package disk

import (
	"errors"
	"time"
)

// Source is what the device's file system is mounted from; not known here.
func (d *Device) Source() (string, error) { return "", errors.ErrUnsupported }

// Number is the number of the block device; not known here.
func (d *Device) Number() (Number, error) { return Number{}, errors.ErrUnsupported }

// Activity is how long each block device was busy; not known here.
func Activity() (map[Number]time.Duration, error) { return nil, errors.ErrUnsupported }
