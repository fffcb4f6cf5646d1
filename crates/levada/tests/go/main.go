// Reads articles with the Go SDK of the Realtime API: logs in, streams all parts, appends a line for
// each event to a file, goes on behind the lines that are there, and in the end revokes its session.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/wikimedia-enterprise/wme-sdk-go/pkg/api"
	"github.com/wikimedia-enterprise/wme-sdk-go/pkg/auth"
)

var errDone = errors.New("all events are there")

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run reads os.Args: base URL, user, password, file of lines, number of lines to wait for.
func run() error {
	base, user, password := os.Args[1], os.Args[2], os.Args[3]
	want, err := strconv.Atoi(os.Args[5])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	file, next, seen, err := open(os.Args[4])
	if err != nil {
		return err
	}
	ath := auth.NewClient().(*auth.Client)
	ath.BaseURL = base + "/v1"
	lgn, err := ath.Login(ctx, &auth.LoginRequest{Username: user, Password: password})
	if err != nil {
		return err
	}
	clt := api.NewClient(func(c *api.Client) { c.BaseURL = base + "/"; c.RealtimeURL = base + "/" })
	clt.SetAccessToken(lgn.AccessToken)
	begin := time.Now().Add(-time.Hour)
	for seen < want {
		req := &api.Request{
			Parts:             []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
			Offsets:           map[int]int64{},
			SincePerPartition: map[int]time.Time{},
		}
		for p := 0; p < 50; p++ {
			if o, ok := next[p]; ok {
				req.Offsets[p] = o
			} else {
				req.SincePerPartition[p] = begin
			}
		}
		err := clt.StreamArticles(ctx, req, func(art *api.Article) error {
			p, o := *art.Event.Partition, *art.Event.Offset
			if _, err := fmt.Fprintf(file, "%d %d %s\n", p, o, art.Name); err != nil {
				return err
			}
			next[p] = o + 1
			if seen++; seen == want {
				return errDone
			}
			return nil
		})
		fmt.Fprintln(os.Stderr, "the stream ended:", err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if seen < want {
			time.Sleep(100 * time.Millisecond)
		}
	}
	if err := selected(ctx, clt); err != nil {
		return err
	}
	bad := clt.StreamArticles(ctx, &api.Request{Fields: []string{"nope"}}, nil)
	fmt.Printf("refused: %v\n", bad)
	rfr, err := ath.RefreshToken(ctx, &auth.RefreshTokenRequest{Username: user, RefreshToken: lgn.RefreshToken})
	if err != nil {
		return err
	}
	if err := ath.RevokeToken(ctx, &auth.RevokeTokenRequest{RefreshToken: lgn.RefreshToken}); err != nil {
		return err
	}
	for _, token := range []string{lgn.AccessToken, rfr.AccessToken} {
		clt.SetAccessToken(token)
		err = clt.StreamArticles(ctx, &api.Request{}, func(*api.Article) error { return errDone })
		fmt.Printf("revoked: %v\n", err)
	}
	return nil
}

// open reads the lines that are there, cuts off one that is not whole, and says what comes next.
func open(path string) (*os.File, map[int]int64, int, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, 0, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, 0, err
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	if err := file.Truncate(int64(len(text))); err != nil {
		return nil, nil, 0, err
	}
	next := map[int]int64{}
	lines := bytes.Split(text, []byte("\n"))
	lines = lines[:len(lines)-1]
	for _, line := range lines {
		var p int
		var o int64
		if _, err := fmt.Sscanf(string(line), "%d %d", &p, &o); err != nil {
			return nil, nil, 0, err
		}
		next[p] = o + 1
	}
	return file, next, len(lines), nil
}

// selected reads with everything that a request can say at once, and ends by cancelling.
func selected(ctx context.Context, clt api.API) error {
	req := &api.Request{
		Fields:  []string{"name", "abstract", "event.*"},
		Filters: []*api.Filter{{Field: "in_language.identifier", Value: "en"}},
		Parts:   []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		Offsets: map[int]int64{},
	}
	for p := 0; p < 50; p++ {
		req.Offsets[p] = 1
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := 0
	err := clt.StreamArticles(ctx, req, func(art *api.Article) error {
		var number int
		if _, err := fmt.Sscanf(art.Name, "Page %d", &number); err != nil {
			return err
		}
		if number%2 != 0 || art.Abstract == "" || *art.Event.Offset < 1 {
			return fmt.Errorf("page %d at offset %d was not asked for", number, *art.Event.Offset)
		}
		if art.Identifier != 0 || art.InLanguage != nil || art.IsPartOf != nil {
			return fmt.Errorf("page %d has fields that were not asked for", number)
		}
		if seen++; seen == 100 {
			cancel()
		}
		return nil
	})
	fmt.Printf("selected: %d, cancelled: %v\n", seen, err)
	return nil
}
