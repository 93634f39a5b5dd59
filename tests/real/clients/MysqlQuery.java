import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

/**
 * MysqlQuery: answers each line of standard input by one of its own, as
 * mysql.js has it.  The driver is MariaDB Connector/J.
 */
public class MysqlQuery {
	public static void main(String[] args) throws Exception {
		BufferedReader in = new BufferedReader(new InputStreamReader(
			System.in, StandardCharsets.UTF_8));
		String line;
		while ((line = in.readLine()) != null) {
			Map<String, String> request = parse(line);
			String said;
			try {
				said = "ok " + answer(request);
			} catch (SQLException error) {
				said = "error " + error.getErrorCode() + " " +
					error.getSQLState() + " " + explain(error);
			} catch (Exception error) {
				said = "error - - " + error;
			}
			System.out.println(request.get("id") + " " +
				said.replaceAll("\\s+", " "));
		}
	}

	private static Map<String, String> parse(String line) {
		Map<String, String> request = new HashMap<>();
		for (String pair : line.split("\t")) {
			int at = pair.indexOf('=');
			request.put(pair.substring(0, at), pair.substring(at + 1));
		}
		return request;
	}

	/* What went wrong in TLS is said by the causes only. */
	private static String explain(Throwable error) {
		StringBuilder all = new StringBuilder();
		for (; error != null; error = error.getCause())
			all.append(all.length() > 0 ? ": " : "")
				.append(error.getMessage());
		return all.toString();
	}

	private static Connection connect(Map<String, String> request)
	    throws SQLException {
		Properties options = new Properties();
		options.put("user", request.get("user"));
		options.put("password", request.get("password"));
		options.put("connectTimeout", "20000");
		options.put("allowPublicKeyRetrieval",
			request.getOrDefault("retrieval", "true"));
		if (request.containsKey("ca")) {
			options.put("useSsl", "true");
			options.put("serverSslCert", request.get("ca"));
		} else if (request.get("tls").equals("yes")) {
			options.put("useSsl", "true");
		} else {
			options.put("sslMode", "disable");
		}
		if (request.containsKey("key"))
			options.put("serverRsaPublicKeyFile", request.get("key"));
		if (request.containsKey("compress"))
			options.put("useCompression", "true");
		return DriverManager.getConnection("jdbc:mariadb://" +
			request.get("host") + ":" + request.get("port") + "/app",
			options);
	}

	private static String answer(Map<String, String> request)
	    throws Exception {
		try (Connection connection = connect(request);
		     Statement statement = connection.createStatement()) {
			if (request.get("do").equals("large"))
				return large(statement);
			return row(statement, "SELECT CURRENT_USER(), '" +
				request.get("word") + "'", 1) + "|" +
				request.get("word") + "|" +
				row(statement, "SHOW STATUS LIKE 'Ssl_cipher'", 2);
		}
	}

	private static String row(Statement statement, String sql, int column)
	    throws SQLException {
		try (ResultSet result = statement.executeQuery(sql)) {
			result.next();
			String value = result.getString(column);
			return value.isEmpty() ? "clear" : value;
		}
	}

	private static String large(Statement statement) throws Exception {
		String text = row(statement,
			"SELECT REPEAT('0123456789abcde\n', 589824)", 1);
		byte[] hash = MessageDigest.getInstance("MD5").digest(
			text.getBytes(StandardCharsets.UTF_8));
		return text.length() + "|" +
			String.format("%032x", new BigInteger(1, hash)) + "|" +
			row(statement, "SHOW STATUS LIKE 'Compression'", 2);
	}
}
