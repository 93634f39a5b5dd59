#include "tests/loop/fake.h"

#include <sys/socket.h>

#include <assert.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static int
listen_on(unsigned short port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(port);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, SOMAXCONN) == -1)
		assert(!"no listener");
	return fd;
}

void
fake_init(struct fake *f, const struct step *steps, SSL_CTX *ctx)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	memset(f, 0, sizeof(*f));
	f->steps = steps;
	f->ctx = ctx;
	f->keep = true;
	f->listener = listen_on(0);
	if (getsockname(f->listener, (struct sockaddr *)&sin, &len) == -1)
		assert(!"no port");
	f->port = ntohs(sin.sin_port);
	(void)pthread_mutex_init(&f->lock, NULL);
}

void
fake_hide(struct fake *f)
{
	(void)close(f->listener);
	f->listener = -1;
}

void
fake_show(struct fake *f)
{
	f->listener = listen_on(f->port);
}

static void
note_begin(struct fake *f)
{
	(void)pthread_mutex_lock(&f->lock);
	f->begun++;
	(void)pthread_mutex_unlock(&f->lock);
}

static void
note_end(struct fake *f, const struct actor *a)
{
	(void)pthread_mutex_lock(&f->lock);
	f->ended++;
	if (f->keep) {
		bytes_add(&f->clear, a->clear.at, a->clear.len);
		bytes_add(&f->sealed, a->sealed.at, a->sealed.len);
	}
	f->done = a->done;
	f->ending = a->ending;
	(void)pthread_mutex_unlock(&f->lock);
}

static void
serve(struct fake *f, int fd)
{
	struct actor a = {
		.fd = fd,
		.ctx = f->ctx,
		.server = true,
		.arg = f->arg,
		.sent = &f->sent,
	};

	note_begin(f);
	actor_play(&a, f->steps);
	note_end(f, &a);
	actor_fini(&a);
}

static void *
fake_main(void *arg)
{
	struct fake *f = arg;
	int fd;

	while ((fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC)) != -1)
		serve(f, fd);
	return NULL;
}

void
fake_start(struct fake *f, size_t nthreads)
{
	assert(nthreads <= FAKE_THREADS_MAX);
	for (; f->nthreads < nthreads; f->nthreads++) {
		if (pthread_create(&f->threads[f->nthreads], NULL, fake_main,
			f) != 0)
			assert(!"no thread");
	}
}

/* Shutting a listener down wakes all that wait at it. */
void
fake_fini(struct fake *f)
{
	size_t i;

	(void)shutdown(f->listener, SHUT_RDWR);
	for (i = 0; i < f->nthreads; i++)
		(void)pthread_join(f->threads[i], NULL);
	(void)close(f->listener);
	SSL_CTX_free(f->ctx);
	bytes_free(&f->clear);
	bytes_free(&f->sealed);
	(void)pthread_mutex_destroy(&f->lock);
}

bool
fake_idle(struct fake *f)
{
	bool idle;

	(void)pthread_mutex_lock(&f->lock);
	idle = f->begun == f->ended;
	(void)pthread_mutex_unlock(&f->lock);
	return idle;
}

unsigned
fake_visits(struct fake *f)
{
	unsigned begun;

	(void)pthread_mutex_lock(&f->lock);
	begun = f->begun;
	(void)pthread_mutex_unlock(&f->lock);
	return begun;
}
