package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// The controllers that work without kubelets, volumes or a cloud.
const usefulControllers = "job-controller,cronjob-controller,ttl-after-finished-controller," +
	"garbage-collector-controller,namespace-controller,pod-garbage-collector-controller," +
	"serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller," +
	"node-lifecycle-controller,taint-eviction-controller,resourcequota-controller,disruption-controller," +
	"deployment-controller,replicaset-controller,statefulset-controller,clusterrole-aggregation-controller"

type child struct {
	name string
	cmd  *exec.Cmd
	done chan error
}

func up(args []string) int {
	fs := pflag.NewFlagSet("up", pflag.ExitOnError)
	dir := fs.String("dir", "", "work folder; made if missing; an old cluster in it is thrown away")
	stages := fs.String("stages", "", "kwok stage files, comma separated; empty: no kwok")
	withScheduler := fs.Bool("scheduler", true, "run kube-scheduler")
	ctl := fs.String("controllers", usefulControllers, "for kube-controller-manager")
	authz := fs.String("authorization-mode", "RBAC", "for kube-apiserver")
	users := fs.String("users", "", "more tokens, comma separated: token:user[:group1+group2]; for role tests")
	apiArgs := fs.StringArray("apiserver-arg", nil, "one more flag for kube-apiserver; repeat it")
	ctlArgs := fs.StringArray("controller-manager-arg", nil, "one more flag for kube-controller-manager; repeat it")
	follow := fs.Bool("until-stdin-closes", false, "stop when standard input ends")
	ready := fs.Duration("ready-timeout", 2*time.Minute, "how long the API may take")
	_ = fs.Parse(args)
	if *dir == "" {
		fmt.Fprintln(os.Stderr, "up: --dir is needed")
		return 2
	}
	if err := supervise(*dir, *stages, *withScheduler, *ctl, *authz, *users, *apiArgs, *ctlArgs, *ready, *follow); err != nil {
		fmt.Fprintln(os.Stderr, "up:", err)
		return 1
	}
	return 0
}

func supervise(dir, stages string, withScheduler bool, ctl, authz, users string, apiArgs, ctlArgs []string, limit time.Duration, followStdin bool) error {
	runtime.LockOSThread() // Pdeathsig follows the thread that starts the children
	begin := time.Now()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	at := func(n string) string { return filepath.Join(dir, n) }
	for _, n := range []string{"etcd", "log", "kubeconfig", "ready.json", "pid"} {
		_ = os.RemoveAll(at(n)) // a new cluster each time
	}
	if err := os.MkdirAll(at("log"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(at("pid"), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	defer os.Remove(at("pid"))

	ports, err := freePorts(4)
	if err != nil {
		return err
	}
	etcdURL := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	server := fmt.Sprintf("https://127.0.0.1:%d", ports[2])

	if err := writeKeys(dir); err != nil {
		return err
	}
	admin := randomToken()
	tokens := fmt.Sprintf("%s,admin,admin,\"system:masters\"\n", admin)
	for _, u := range strings.Split(users, ",") {
		if p := strings.SplitN(u, ":", 3); len(p) >= 2 {
			groups := ""
			if len(p) == 3 {
				groups = `,"` + strings.ReplaceAll(p[2], "+", ",") + `"`
			}
			tokens += p[0] + "," + p[1] + "," + p[1] + groups + "\n"
		}
	}
	if err := os.WriteFile(at("tokens.csv"), []byte(tokens), 0o600); err != nil {
		return err
	}
	ca, err := os.ReadFile(at("ca.crt"))
	if err != nil {
		return err
	}
	kubeconfig := kubeconfigFor(server, ca, admin)
	// The children get their own copy at once; the one tests look for appears only when the API is ready.
	if err := os.WriteFile(at("kubeconfig.internal"), kubeconfig, 0o600); err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if followStdin { // whoever started it holds the other end: nothing is left running when they die
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	var kids []*child
	ended := make(chan *child, 8)
	start := func(name string, args ...string) error {
		c, err := spawn(dir, name, ended, args...)
		if err == nil {
			kids = append(kids, c)
		}
		return err
	}
	defer func() {
		for i := len(kids) - 1; i >= 0; i-- { // etcd last
			kids[i].halt(5 * time.Second)
		}
	}()

	if err := start("etcd", "--data-dir", at("etcd"), "--listen-client-url", etcdURL, "--listen-peer-url", peerURL); err != nil {
		return err
	}
	api := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none", // a loopback address is no valid endpoint
		fmt.Sprintf("--secure-port=%d", ports[2]),
		"--tls-cert-file=" + at("server.crt"), "--tls-private-key-file=" + at("server.key"),
		"--token-auth-file=" + at("tokens.csv"),
		"--service-account-issuer=" + server,
		"--service-account-key-file=" + at("sa.pub"), "--service-account-signing-key-file=" + at("sa.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=" + authz,
		"--allow-privileged=true",
		"--profiling=false",
	}
	if err := start("kube-apiserver", append(api, apiArgs...)...); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := waitReady(wait, server, ca, admin, ended); err != nil {
		return err
	}
	apiReady := time.Since(begin)

	kc := "--kubeconfig=" + at("kubeconfig.internal")
	cm := []string{
		kc, "--controllers=" + ctl, "--leader-elect=false", "--secure-port=0",
		"--service-account-private-key-file=" + at("sa.key"), "--root-ca-file=" + at("ca.crt"),
		"--kube-api-qps=500", "--kube-api-burst=1000",
		"--node-monitor-period=1s", "--node-eviction-rate=10", // a lost node is seen sooner than by default
	}
	if err := start("kube-controller-manager", append(cm, ctlArgs...)...); err != nil {
		return err
	}
	if withScheduler {
		if err := start("kube-scheduler", kc, "--leader-elect=false", "--secure-port=0",
			"--kube-api-qps=500", "--kube-api-burst=1000"); err != nil {
			return err
		}
	}
	if stages != "" {
		kw := []string{kc, "--manage-all-nodes=true", "--node-name=localhost", "--node-ip=127.0.0.1",
			fmt.Sprintf("--node-port=%d", ports[3]), fmt.Sprintf("--server-address=127.0.0.1:%d", ports[3]),
			"--tls-cert-file=" + at("server.crt"), "--tls-private-key-file=" + at("server.key"),
			"--node-lease-duration-seconds=40"}
		for _, s := range strings.Split(stages, ",") {
			kw = append(kw, "--config="+s)
		}
		if err := start("kwok", kw...); err != nil {
			return err
		}
	}
	// Pods are refused in a namespace until its "default" service account is there.
	if err := waitPath(wait, server+"/api/v1/namespaces/default/serviceaccounts/default", ca, admin, ended); err != nil {
		return err
	}
	if err := os.WriteFile(at("kubeconfig"), kubeconfig, 0o600); err != nil {
		return err
	}
	took := time.Since(begin)
	for {
		parts := map[string]int{}
		for _, k := range kids {
			parts[k.name] = k.cmd.Process.Pid
		}
		info, _ := json.MarshalIndent(map[string]any{
			"server": server, "token": admin, "ca": at("ca.crt"), "kubeconfig": at("kubeconfig"), "pid": os.Getpid(),
			"apiReadyMs": apiReady.Milliseconds(), "allReadyMs": took.Milliseconds(), "parts": parts,
		}, "", "  ")
		if err := os.WriteFile(at("ready.tmp"), append(info, '\n'), 0o600); err != nil {
			return err
		}
		if err := os.Rename(at("ready.tmp"), at("ready.json")); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case c := <-ended:
			return fmt.Errorf("%s ended by itself, see %s", c.name, at("log/"+c.name+".log"))
		case <-hup: // an outage for tests: the API server goes away and comes back, with an empty watch history
			kids[1].halt(0)
			<-ended
			again, err := spawn(dir, kids[1].name, ended, kids[1].cmd.Args[2:]...)
			if err != nil {
				return err
			}
			kids[1] = again
			back, cancel := context.WithTimeout(ctx, limit)
			err = waitReady(back, server, ca, admin, ended)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

func spawn(dir, name string, ended chan<- *child, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, "log", name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c := &child{name: name, cmd: exec.Command(self, append([]string{name}, args...)...), done: make(chan error, 1)}
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.Dir = log, log, dir
	c.cmd.Env = append(os.Environ(), "HOME="+dir)
	c.cmd.SysProcAttr = childAttr() // on Linux the child dies with its parent
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() { c.done <- c.cmd.Wait(); close(c.done); ended <- c }()
	return c, nil
}

func (c *child) halt(grace time.Duration) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(grace):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

func waitReady(ctx context.Context, server string, ca []byte, token string, ended <-chan *child) error {
	return waitPath(ctx, server+"/readyz", ca, token, ended)
}

func waitPath(ctx context.Context, u string, ca []byte, token string, ended <-chan *child) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	hc := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	last := errors.New("no answer yet")
	for {
		req, _ := http.NewRequestWithContext(ctx, "GET", u, nil)
		req.Header.Set("Authorization", "Bearer "+token)
		if resp, err := hc.Do(req); err != nil {
			last = err
		} else {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == 200 {
				return nil
			}
			last = fmt.Errorf("%s: %.300s", resp.Status, body)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", last)
		case c := <-ended:
			return fmt.Errorf("%s ended before the API was ready, see log/%s.log", c.name, c.name)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func kubeconfigFor(server string, ca []byte, token string) []byte {
	return []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: berth
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: admin
  user:
    token: %s
contexts:
- name: berth
  context: {cluster: berth, user: admin, namespace: default}
current-context: berth
`, server, base64.StdEncoding.EncodeToString(ca), token))
}

// writeKeys makes the authority, the serving certificate and the service account key, once per folder.
func writeKeys(dir string) error {
	at := func(n string) string { return filepath.Join(dir, n) }
	if _, err := os.Stat(at("sa.pub")); err == nil {
		return nil
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now().Add(-time.Hour)
	caCert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "berth-test-ca"},
		NotBefore: now, NotAfter: now.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	caDER, err := x509.CreateCertificate(rand.Reader, caCert, caCert, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	srvKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	srv := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "berth-test-server"},
		NotBefore: now, NotAfter: now.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}}
	srvDER, err := x509.CreateCertificate(rand.Reader, srv, caCert, &srvKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	srvKeyDER, err := x509.MarshalECPrivateKey(srvKey)
	if err != nil {
		return err
	}
	sa, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	saPub, err := x509.MarshalPKIXPublicKey(&sa.PublicKey)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{
		{"ca.crt", "CERTIFICATE", caDER},
		{"server.crt", "CERTIFICATE", srvDER},
		{"server.key", "EC PRIVATE KEY", srvKeyDER},
		{"sa.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(sa)},
		{"sa.pub", "PUBLIC KEY", saPub}, // last: its presence says that all are there
	} {
		if err := os.WriteFile(at(f.name), pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func randomToken() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

func freePorts(n int) ([]int, error) {
	var ports []int
	for i := 0; i < n; i++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // held until all are picked, so that they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func mustURL(s string) []url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return []url.URL{*u}
}
