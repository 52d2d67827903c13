// Package gate keeps the goroutines of one process apart, by names.
package gate

import (
	"context"
	"sync"
)

// Gates lets one goroutine at a time pass per name.
type Gates struct {
	mu     sync.Mutex
	byName map[string]*gate // guarded by mu; a gate is there while somebody uses it
}

type gate struct {
	// pass holds a token while somebody is inside.
	pass chan struct{}
	// users are inside or wait; guarded by Gates.mu.
	users int
}

// New makes gates that nobody is at.
func New() *Gates { return &Gates{byName: map[string]*gate{}} }

// Enter waits for its turn until ctx ends, and returns the cause then. A gate
// that is free is entered even when ctx is over.
func (g *Gates) Enter(ctx context.Context, name string) (leave func(), err error) {
	at := g.use(name)
	select {
	case at.pass <- struct{}{}:
	default:
		select {
		case at.pass <- struct{}{}:
		case <-ctx.Done():
			g.unuse(name)
			return nil, context.Cause(ctx)
		}
	}
	return func() {
		<-at.pass
		g.unuse(name)
	}, nil
}

func (g *Gates) use(name string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, ok := g.byName[name]
	if !ok {
		at = &gate{pass: make(chan struct{}, 1)}
		g.byName[name] = at
	}
	at.users++
	return at
}

func (g *Gates) unuse(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.byName[name]
	if at.users--; at.users == 0 {
		delete(g.byName, name)
	}
}

// Used is how many gates somebody is at.
func (g *Gates) Used() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.byName)
}
