package caddymodule

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// What is not an error of the edge is answered 503: the tracker can't help at present.
func TestCodesOfTrackersAreTheEdgesErrors(t *testing.T) {
	all := []error{edge.ErrUnknownKey, edge.ErrUnknownDomain, edge.ErrBadRequest, edge.ErrNoDevices, edge.ErrNoSpace}
	for code, want := range map[protocol.Code]error{
		protocol.UnknownKey: edge.ErrUnknownKey, protocol.UnregDomain: edge.ErrUnknownDomain, protocol.NoDomain: edge.ErrUnknownDomain,
		protocol.NoKey: edge.ErrBadRequest, protocol.UnregClass: edge.ErrBadRequest, protocol.NoDevices: edge.ErrNoDevices,
		protocol.DB: nil, protocol.SizeMismatch: nil, protocol.NoneMatch: nil, protocol.PluginAborted: nil,
	} {
		got := asEdgeError(fmt.Errorf("ask: %w", protocol.Fail(code)))
		for _, e := range all {
			if errors.Is(got, e) != (e == want) {
				t.Errorf("%s: got %v; want %v and no other", code, got, want)
			}
		}
	}
}
