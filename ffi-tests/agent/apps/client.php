<?php
// A client after the published protocol, with PHP's own sockets, in the manner of PHP-FPM: each
// web request connects, registers, tells its metadata, sends one batch, and closes.
// Arguments: port, number of requests, diary.
declare(strict_types=1);

[, $port, $count, $diary] = $argv;

function id(): string
{
    $hex = bin2hex(random_bytes(16));
    return implode('-', [substr($hex, 0, 8), substr($hex, 8, 4), substr($hex, 12, 4),
        substr($hex, 16, 4), substr($hex, 20)]);
}

function stamp(float $at): string
{
    return DateTimeImmutable::createFromFormat('U.u', sprintf('%.6F', $at))->format('Y-m-d\TH:i:s.u\Z');
}

final class Connection
{
    private $socket;

    public function __construct(int $port)
    {
        $this->socket = stream_socket_client("tcp://127.0.0.1:$port", $code, $why, 5);
        if ($this->socket === false) {
            throw new RuntimeException($why);
        }
    }

    public function ask(array $command): array
    {
        $body = json_encode($command, JSON_THROW_ON_ERROR);
        // Two writes, and so two segments, as the real one does.
        fwrite($this->socket, pack('N', strlen($body)));
        fwrite($this->socket, $body);
        $length = unpack('N', $this->read(4))[1];
        if ($length > 10000000) {
            throw new RuntimeException("a reply of $length bytes");
        }
        return json_decode($this->read($length), true, 512, JSON_THROW_ON_ERROR);
    }

    private function read(int $length): string
    {
        $read = '';
        while (strlen($read) < $length) {
            $part = fread($this->socket, $length - strlen($read));
            if ($part === false || $part === '') {
                throw new RuntimeException('an empty read');
            }
            $read .= $part;
        }
        return $read;
    }

    public function close(): void
    {
        fclose($this->socket);
    }
}

for ($n = 0; $n < (int) $count; $n++) {
    $connection = new Connection((int) $port);
    $connection->ask(['Register' => ['app' => 'PHP App', 'key' => 'abcdefghij0123456789',
        'language' => 'php', 'api_version' => '1.0']]);
    if ($n % 10 === 0) {
        $connection->ask(['ApplicationEvent' => ['event_type' => 'scout.metadata', 'source' => 'php',
            'timestamp' => stamp(microtime(true)), 'event_value' => ['language' => 'php',
                'version' => PHP_VERSION, 'hostname' => 'php-host', 'framework' => '',
                'application_root' => __DIR__, 'libraries' => [], 'git_sha' => '']]]);
    }
    $request = id();
    $begin = microtime(true) - 0.1;
    $commands = [['StartRequest' => ['request_id' => $request, 'timestamp' => stamp($begin)]]];
    $span = function (string $operation, ?string $parent, float $from, ?float $to, array $tags)
        use (&$commands, $request, $begin): string {
        $id = id();
        $commands[] = ['StartSpan' => ['request_id' => $request, 'span_id' => $id,
            'parent_id' => $parent, 'operation' => $operation, 'timestamp' => stamp($begin + $from)]];
        foreach ($tags as $tag => $value) {
            $commands[] = ['TagSpan' => ['request_id' => $request, 'span_id' => $id, 'tag' => $tag,
                'value' => $value, 'timestamp' => stamp($begin + $from)]];
        }
        $commands[] = ['StopSpan' => ['request_id' => $request, 'span_id' => $id,
            'timestamp' => $to === null ? null : stamp($begin + $to)]];
        return $id;
    };
    $endpoint = 'Controller/page' . $n % 3;
    $middleware = $span('Middleware', null, 0, 0.08, []);
    $controller = $span($endpoint, $middleware, 0.01, $n % 5 === 4 ? null : 0.07, []);
    for ($query = 0; $query <= $n % 3; $query++) {
        $span('SQL/Query', $controller, 0.02, 0.03, ['db.statement' => "SELECT * FROM `orders` WHERE `id` = $n"]);
    }
    $span('file_get_contents', $controller, 0.04, 0.05,
        ['args' => ['url' => 'https://example.com/s3cret'], 'desc' => 'x']);
    foreach (['memory_delta' => -0.25, 'path' => "/page/$n", 'scout.queue_time_ns' => 1.5e8] as $tag => $value) {
        $commands[] = ['TagRequest' => ['request_id' => $request, 'tag' => $tag, 'value' => $value,
            'timestamp' => stamp($begin)]];
    }
    $commands[] = ['FinishRequest' => ['request_id' => $request, 'timestamp' => stamp($begin + 0.09)]];
    $reply = $connection->ask(['BatchCommand' => ['commands' => $commands]]);
    if (($reply['BatchCommand']['result'] ?? null) !== 'Success') {
        throw new RuntimeException(json_encode($reply));
    }
    $connection->close();
    file_put_contents($diary, json_encode(['endpoint' => "page" . $n % 3, 'selects' => $n % 3 + 1]) . "\n", FILE_APPEND);
}
