package command_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// What another tracker does between two steps of a command.

func TestAnUploadIntoADomainThatIsGoneStaysOpen(t *testing.T) {
	c := newCluster(t, nil)
	o := c.open("k", 1)
	must(t, c.store.DeleteClass(t.Context(), 1, 1))
	must(t, c.store.DeleteDomain(t.Context(), "images")) // and the snapshot does not know it yet
	fails(t, c.Close(t.Context(), closing(o, "k")), protocol.UnregDomain)
	if _, err := c.store.Upload(t.Context(), o.FID); err != nil {
		t.Errorf("the upload: got %v; want it still open", err)
	}
	c.heard()
	c.runs("create_class domain=images&class=c&mindevcount=1", "ERR domain_not_found Domain+not+found")
}

// lateHost is a store in which a host appears just after it was looked for.
type lateHost struct {
	command.Store
	appear func()
}

func (s *lateHost) HostByName(ctx context.Context, name mogile.HostName) (mogile.Host, error) {
	h, err := s.Store.HostByName(ctx, name)
	if s.appear != nil {
		s.appear()
		s.appear = nil
	}
	return h, err
}

func TestAHostThatAnotherCreatesAtTheSameTimeExists(t *testing.T) {
	late := &lateHost{}
	c := newCluster(t, func(s command.Store) command.Store {
		late.Store = s
		return late
	})
	create := func(h mogile.Host) func() {
		return func() {
			_, err := c.store.CreateHost(t.Context(), h)
			must(t, err)
		}
	}
	late.appear = create(mogile.Host{Name: "new", IP: "10.0.0.9", Port: 7500})
	c.runs("create_host host=new&ip=10.0.0.8&port=7500", "ERR host_exists That+host+already+exists")
	late.appear = create(mogile.Host{Name: "other", IP: "10.0.0.8", Port: 7500})
	c.runs("create_host host=third&ip=10.0.0.8&port=7500", "ERR dup Duplicate+name/number+used.")
}

func TestAClassNumberThatNoColumnHoldsIsAFailure(t *testing.T) {
	c := newCluster(t, nil)
	c.runs("create_domain domain=d", "OK domain=d")
	for i := range 255 {
		_, err := c.store.CreateClass(t.Context(), mogile.Class{Domain: 2, Name: mogile.ClassName(fmt.Sprint("class", i)), MinDevCount: 1})
		must(t, err)
	}
	c.runs("create_class domain=d&class=one-more&mindevcount=1", "ERR failure Operation+failed")
}
