package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/edge/health"
)

// pooledBoard is what all edges of the process know of storage nodes, and where that is
// logged.
type pooledBoard struct {
	*health.Board
	log *liveLogger
}

var _ caddy.Destructor = (*pooledBoard)(nil)

// Destruct closes the board.
func (p *pooledBoard) Destruct() error { return p.Close() }

// boardOf finds or makes the one board of the process, which logs through log until r is
// released.
func boardOf(r *refs, log *zap.Logger) (*health.Board, error) {
	board, err := load(r, poolKey{kind: "health of nodes"}, func() (*pooledBoard, error) {
		live := newLiveLogger()
		return &pooledBoard{health.New(live.Logger), live}, nil
	})
	if err != nil {
		return nil, err
	}
	r.onRelease(board.log.use(log))
	return board.Board, nil
}
