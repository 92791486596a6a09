package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

const (
	nginxPort  = "8080"
	nginxImage = "nestprobe-bench-nginx"
)

// nginxSettings are those of a proxy to one server, with its address as their argument:
// connections to the server are kept, and WebSockets are passed on.
const nginxSettings = `
worker_processes auto;
pid /tmp/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  map $http_upgrade $connection_header { default upgrade; "" ""; }
  upstream server { server %s; keepalive 100; }
  server {
    listen ` + nginxPort + `;
    keepalive_requests 1000000;
    location / {
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_header;
    }
  }
}
`

// errNoNginx is returned where nginx cannot be had.
var errNoNginx = errors.New("not measured")

// nginxContainer is a running nginx, or what there is of one.
type nginxContainer struct{ id, image string }

// startNginx starts nginx with as many processes as there are processors, as its package
// does. The caller removes it, even after an error.
func startNginx(ctx context.Context, api *client.Client, network container.NetworkMode, proxied string) (nginx nginxContainer, err error) {
	files, err := nginxFiles(ctx)
	if err != nil {
		return nginx, fmt.Errorf("%w: %w", errNoNginx, err)
	}
	load := exec.CommandContext(ctx, "sh", "-c", `tar -C "$1" --owner=0 --group=0 --numeric-owner -c . | docker import - "$2"`, "sh", files, nginxImage) //nolint:gosec // the folder of the cache
	if out, err := load.CombinedOutput(); err != nil {
		return nginx, fmt.Errorf("importing nginx: %w\n%s", err, out)
	}
	nginx.image = nginxImage
	created, err := api.ContainerCreate(ctx, &container.Config{
		Image:      nginxImage,
		Entrypoint: []string{"/usr/sbin/nginx", "-e", "stderr", "-c", "/nginx.conf", "-g", "daemon off;"},
		User:       "65534:65534", // as root it would look for its user in /etc/passwd, which is not there
	}, &container.HostConfig{
		NetworkMode: network,
		LogConfig:   container.LogConfig{Type: "none"},
		Tmpfs:       map[string]string{"/tmp": ""},
	}, nil, nil, "")
	if err != nil {
		return nginx, err
	}
	nginx.id = created.ID
	settings, err := tarOf("nginx.conf", fmt.Sprintf(nginxSettings, proxied))
	if err != nil {
		return nginx, err
	}
	if err := api.CopyToContainer(ctx, nginx.id, "/", settings, container.CopyToContainerOptions{}); err != nil {
		return nginx, err
	}
	return nginx, api.ContainerStart(ctx, nginx.id, container.StartOptions{})
}

// tarOf is an archive with one file.
func tarOf(name, content string) (*bytes.Buffer, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	if err := writer.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return nil, err
	}
	if _, err := writer.Write([]byte(content)); err != nil {
		return nil, err
	}
	return &archive, writer.Close()
}

func (n nginxContainer) remove(ctx context.Context, api *client.Client) error {
	err := remove(ctx, api, n.id)
	if n.image != "" {
		_, failed := api.ImageRemove(ctx, n.image, image.RemoveOptions{})
		err = errors.Join(err, failed)
	}
	return err
}
