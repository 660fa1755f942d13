// SPDX-License-Identifier: MIT OR Apache-2.0

// What Go's runtime asks of a kernel: goroutines on threads, a garbage collector,
// timers, signals, files and other processes. Every line it prints is determined.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func goroutines() {
	var group sync.WaitGroup
	var total int64
	results := make(chan int, 100)
	for worker := 0; worker < 1000; worker++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			runtime.Gosched()
			atomic.AddInt64(&total, int64(n))
			results <- n % 7
		}(worker)
	}
	go func() { group.Wait(); close(results) }()
	sum := 0
	for n := range results {
		sum += n
	}
	fmt.Println("goroutines", total, sum)

	ping, pong := make(chan int), make(chan int)
	go func() {
		for n := range ping {
			pong <- n + 1
		}
		close(pong)
	}()
	n := 0
	for i := 0; i < 2000; i++ {
		ping <- n
		n = <-pong
	}
	close(ping)
	fmt.Println("ping-pong", n)
}

type node struct {
	left, right *node
	payload     [64]byte
}

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

func garbage() {
	kept := tree(12)
	for round := 0; round < 12; round++ {
		_ = tree(12)
	}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("garbage", kept.count(), stats.NumGC > 0, stats.HeapAlloc < 64<<20)
	words := map[string]int{}
	for i := 0; i < 50000; i++ {
		words[fmt.Sprint("word", i%997)] += i
	}
	keys := make([]string, 0, len(words))
	for key := range words {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	fmt.Println("maps", len(words), keys[0], words[keys[0]])
}

func timers() {
	order := make(chan int, 3)
	for _, n := range []int{3, 1, 2} {
		n := n
		time.AfterFunc(time.Duration(n)*40*time.Millisecond, func() { order <- n })
	}
	fmt.Println("timers", <-order, <-order, <-order)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	fmt.Println("deadline", errors.Is(ctx.Err(), context.DeadlineExceeded))
	// A loop that calls nothing is preempted by a signal.
	var stop int32
	go func() { time.Sleep(10 * time.Millisecond); atomic.StoreInt32(&stop, 1) }()
	for atomic.LoadInt32(&stop) == 0 {
	}
	fmt.Println("preempted")
}

func processes() {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGUSR1)
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGUSR1)
	fmt.Println("signal", <-caught)

	command := exec.Command("/proc/self/exe", "child")
	command.Stdin = strings.NewReader("through pipes")
	command.Env = []string{"WHO=Go"}
	out, err := command.Output()
	var failed *exec.ExitError
	fmt.Printf("child %q %v %d\n", out, errors.As(err, &failed), failed.ExitCode())

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err = exec.CommandContext(ctx, "/proc/self/exe", "sleeper").Run()
	fmt.Println("killed", err)
	_, err = exec.LookPath("nowhere")
	fmt.Println(err)
}

func files() {
	dir, err := os.MkdirTemp("", "go")
	fmt.Println("temporary", err, strings.HasPrefix(dir, "/tmp/go"))
	for i := 0; i < 20; i++ {
		path := filepath.Join(dir, fmt.Sprintf("%02d", i))
		_ = os.WriteFile(path, bytes.Repeat([]byte{byte(i)}, i*1000), 0o640)
	}
	hash := sha256.New()
	var size int64
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			file, _ := os.Open(path)
			n, _ := io.Copy(hash, file)
			size += n
			file.Close()
		}
		return err
	})
	fmt.Printf("walk %v %d %x\n", err, size, hash.Sum(nil)[:8])
	_, err = os.Open("/nowhere")
	fmt.Println(err, errors.Is(err, os.ErrNotExist), os.RemoveAll(dir))
	text, _ := json.Marshal(map[string]any{"pi": 3.14, "list": []int{1, 2}, "none": nil})
	fmt.Println(string(text), new(big.Int).Exp(big.NewInt(3), big.NewInt(200), nil))
}

func recovers() (err error) {
	defer func() { err = fmt.Errorf("recovered: %v", recover()) }()
	var none *node
	return fmt.Errorf("not reached %v", none.payload)
}

func main() {
	if len(os.Args) > 1 {
		if os.Args[1] == "sleeper" {
			time.Sleep(time.Minute)
		}
		in, _ := io.ReadAll(os.Stdin)
		fmt.Printf("%s %s", os.Getenv("WHO"), bytes.ToUpper(in))
		os.Exit(3)
	}
	goroutines()
	garbage()
	timers()
	processes()
	files()
	fmt.Println(recovers())
	fmt.Println("go: done")
}
